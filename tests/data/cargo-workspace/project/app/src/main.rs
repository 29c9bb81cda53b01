//! What each dependency gives, as JSON: crates of the registry, of three selectors of one repository, and two C libraries.

use serde::Serialize;

#[derive(Serialize)]
struct Report {
    shapes: Vec<String>,
    sqlite: i64,
    sha256: String,
}

fn main() {
    let database = rusqlite::Connection::open_in_memory().unwrap();
    let sqlite = database.query_row("SELECT 40 + 2", [], |row| row.get(0)).unwrap();
    let digest = openssl::sha::sha256(b"x");
    let sha256 = digest[..4].iter().map(|byte| format!("{byte:02x}")).collect();
    let report = Report { shapes: geo::all(), sqlite, sha256 };
    println!("{}", serde_json::to_string(&report).unwrap());
}
