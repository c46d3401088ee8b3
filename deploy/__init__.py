"""How the project is installed, served and watched."""
