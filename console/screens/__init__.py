"""The screens of the console, one file each, with their dialogs beside them."""
