"""Pages in the browser, on the store that the API serves: what a page shows is what the JSON routes answer."""
