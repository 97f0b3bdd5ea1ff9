"""SSIS files, which are hostile until they are read, as ``model`` says what they hold."""
