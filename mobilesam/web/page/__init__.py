"""The page: the prompt canvas component and the server functions that answer it."""
