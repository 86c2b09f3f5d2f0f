#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), sqlx::Error> {
    let address = std::env::var("DATABASE_URL").expect("DATABASE_URL is set");
    let pool = sqlx::PgPool::connect(&address).await?;
    let row = sqlx::query!("SELECT count(*) AS lines FROM lines").fetch_one(&pool).await?;
    println!("{:?}", row.lines);
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn there_is_a_database() {
        assert!(std::env::var("DATABASE_URL").unwrap().contains("127.0.0.1"));
    }
}
