"""The shell of the web pages: navigation, home, health. It knows no app; apps register with it."""
