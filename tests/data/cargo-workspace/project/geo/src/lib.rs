pub fn all() -> Vec<String> { vec![circle::name(), square::name(), new::name()] }
