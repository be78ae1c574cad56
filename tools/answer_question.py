"""Answer a question in words, with a language model and whatever evidence is given in words."""

from __future__ import annotations

from mmagent import Context, Conversation, Policy, Text, Tool, load_model, message


class AnswerQuestion(
    Tool,
    name="answer-question.v1",
    kind="reasoner",
    cost=6.0,
    memory=700_000_000,
    needs=("extra:local", "weights:smollm2-135m-instruct"),
    concurrency="exclusive",
):
    """Answer a question in words; `evidence` is what is known, one text a fact, and is put before the question.

    `model` is a model's name or folder. The answer is greedy, at most `max_tokens` long, and streams.
    """

    def __init__(self, model: str = "pocket") -> None:
        self.model = model

    def load(self) -> None:
        """Find the model; it reads its weights when it first speaks."""
        self.reasoner = load_model(self.model)

    def run(self, question: Text, ctx: Context, evidence: list[Text] | None = None, max_tokens: int = 64) -> Text:
        """Answer `question`."""
        facts = "".join(f"{item.text.strip()}\n" for item in evidence or () if item.text.strip())
        asked = Conversation([message("user", f"{facts}{question.text}")])
        words: list[str] = []
        for said in self.reasoner.speak(asked, Policy(max_tokens=max_tokens, max_spans=0), {}, ctx):
            piece = getattr(said, "text", "")
            words.append(piece)
            ctx.token(piece)
        return Text("".join(words).strip())

    def unload(self) -> None:
        """Forget the model."""
        del self.reasoner
