#[test]
fn one() {
    assert_eq!(api::one(), 1);
}
