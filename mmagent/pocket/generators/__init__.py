"""The pocket model's generators: latent diffusion in diffusers' classes, trained on the world.

autoencoder   pictures to 16 × 16 latents and back
"""
