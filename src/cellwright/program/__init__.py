"""Programs: the compiler's one intermediate form, its operations, rules and passes."""
