fn main() {
    sqlx::query();
}
