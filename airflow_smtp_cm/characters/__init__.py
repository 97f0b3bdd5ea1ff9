"""Characters that are not in what people type: control characters and invisible ones."""
