"""A package, so that JupyterLab and the browser can be shared by all of its modules and end with the last."""
