pub fn name() -> String { format!("circle {}", itoa::Buffer::new().format(1)) }
