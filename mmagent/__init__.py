"""mmagent: any-to-any multimodal reasoning out of composable, typed tools."""
