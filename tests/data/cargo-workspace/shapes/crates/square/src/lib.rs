pub fn name() -> String { format!("square beside {}", circle::name()) }
