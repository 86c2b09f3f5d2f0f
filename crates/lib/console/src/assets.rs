//! The style sheet, the script and the icon. Each has the hash of its content in its name, so browsers keep it for ever.

use std::sync::LazyLock;

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use sha2::{Digest, Sha256};

/// A file of the pages.
#[derive(Debug)]
pub(crate) struct Asset {
    path: String,
    content_type: &'static str,
    content: &'static str,
}

impl Asset {
    fn new(stem: &str, ending: &str, content_type: &'static str, content: &'static str) -> Self {
        let hash = hex::encode(Sha256::digest(content.as_bytes()));
        Self {
            path: format!("/assets/{stem}-{}.{ending}", hash.get(..12).unwrap_or(&hash)),
            content_type,
            content,
        }
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }
}

pub(crate) static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    let content = include_str!("../assets/console.css");
    Asset::new("console", "css", "text/css; charset=utf-8", content)
});
pub(crate) static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    let content = include_str!("../assets/console.js");
    Asset::new("console", "js", "text/javascript; charset=utf-8", content)
});
pub(crate) static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("icon", "svg", "image/svg+xml", include_str!("../assets/icon.svg")));

/// The routes of the files.
pub(crate) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let mut router = Router::new();
    for asset in [&*STYLE, &*SCRIPT, &*ICON] {
        let headers = [
            (CONTENT_TYPE, asset.content_type),
            (CACHE_CONTROL, "public, max-age=31536000, immutable"),
        ];
        let serve = move || async move { (headers, asset.content).into_response() };
        router = router.route(asset.path(), get(serve));
    }
    router
}
