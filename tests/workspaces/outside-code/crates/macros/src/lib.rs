use proc_macro::TokenStream;

#[proc_macro]
pub fn template(_: TokenStream) -> TokenStream {
    let folder = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let text = std::fs::read_to_string(format!("{folder}/../../templates/{}.txt", "page")).unwrap();
    format!("const TEMPLATE: &str = {text:?};").parse().unwrap()
}
