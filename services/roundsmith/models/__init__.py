"""Loading of Hugging Face model folders, for the generator and the scorer alike."""
