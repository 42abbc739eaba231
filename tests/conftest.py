"""What every test shares. Deliberately little: a folder's own needs live in its own conftest."""
