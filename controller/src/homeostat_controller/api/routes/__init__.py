"""The API's routes, one module for each noun. Every one is a plain function: FastAPI runs it in a thread."""
