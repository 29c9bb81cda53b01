void greet(const char *greeting, const char *name);
