//! Where nginx sends requests by the routes of a stack, and what nobody talks it into.

use tokio::io::AsyncWriteExt as _;

use crate::routed::{Routed, read};

const SHOP: &str = "shop.example.com";
const ADMIN: &str = "admin.example.com";
const SITE: &str = "site.example.com";

#[tokio::test]
async fn each_path_leads_where_its_route_says() {
    let routed = Routed::start().await;
    for (host, path, service, seen) in [
        (SHOP, "/", "web", "/"),
        (SHOP, "/x?a=/api", "web", "/x?a=/api"),
        (SHOP, "/apix", "web", "/apix"),
        (SHOP, "/api/open", "web", "/api/open"),
        (SHOP, "/api/open/x", "web", "/api/open/x"),
        // As it was sent.
        (SHOP, "/x//y%2Fz", "web", "/x//y%2Fz"),
        (SHOP, "/x?next=/../api", "web", "/x?next=/../api"),
        (SHOP, "/.../..x/.y/z..", "web", "/.../..x/.y/z.."),
        (SHOP, "/shop", "web", "/"),
        (SHOP, "/shop?a=1", "web", "/?a=1"),
        (SHOP, "/shop/x/y?a=%2F", "web", "/x/y?a=%2F"),
        (SHOP, "/shopping", "web", "/shopping"),
        (ADMIN, "/", "admin", "/"),
        (ADMIN, "/api", "admin", "/api"),
    ] {
        let answer = routed.get(host, path).await;
        assert_eq!(answer.service(), Some(service), "{host}{path}: {answer:?}");
        assert!(
            answer.body.starts_with(&format!("GET {seen} HTTP/1.1\r\n")),
            "{host}{path}: {answer:?}"
        );
    }
    let stripped = routed.get(SHOP, "/shop/x").await;
    assert!(
        stripped.body.contains("\r\nX-Forwarded-Prefix: /shop\r\n"),
        "{stripped:?}"
    );
}

#[tokio::test]
async fn no_spelling_of_a_closed_path_reaches_a_service() {
    let routed = Routed::start().await;
    for path in [
        "/api",
        "/api?x",
        "/api/",
        "/api/x",
        "/API",
        "/Api/x",
        "/api;x=1",
        "/api;x=1/y",
        "//api",
        "/%61pi",
        "/%41PI/x",
        "/api%2Fx",
        "/api%00",
        "/api%0a",
        "/api/%0d%0aHost:%20admin.example.com",
        "/api/openx",
        "/metrics",
        "/METRICS/x",
        "/metrics/",
        "//metrics",
        "/;/metrics",
        "/;x=1/metrics/",
        "/;/;x/api/x",
        "/%3b/api",
        "/;/api/open",
        // Behind a prefix that is taken off.
        "/shop/metrics",
        "/shop/METRICS",
        "/shop//metrics",
        "/shop%2fmetrics",
        "/shop;x/metrics",
        "/shop/;/metrics",
        // Dots: what nginx makes of them, and what a service might.
        "/./api",
        "/x/../api",
        "/x/%2e%2e/api",
        "/x/.%2e/api/x",
        "/x%2f..%2fapi",
        "/x%2F%2E%2E%2Fapi",
        "/x/..;/api",
        "/x/..;a=b/api",
        "/x\\..\\api",
        "/x%5c..%5capi",
        "/api/../x",
        "/api/..",
        "/api/%2e%2e/x",
        "/api%2f..%2fx",
        "/api/open/../secret",
        "/api/open/..%2fsecret",
        "/shop/../api",
        "/shop/..%2f..%2fapi",
        "/../api",
        "/live/../api#",
        "/x#/../api",
    ] {
        for method in ["GET", "POST", "OPTIONS", "FOO", "PROPFIND"] {
            let answer = routed.ask(method, SHOP, path, "Content-Length: 0\r\n").await;
            let refused = matches!(answer.status, Some(400 | 404 | 405));
            assert!(
                refused && answer.service().is_none(),
                "{method} {path}: {answer:?}"
            );
        }
    }
}

#[tokio::test]
async fn no_host_but_a_domains_own_reaches_its_service() {
    let routed = Routed::start().await;
    let get = "GET / HTTP/1.1\r\nConnection: close\r\n";
    for (request, service) in [
        (format!("{get}Host: {SHOP}\r\n\r\n"), Some("web")),
        (format!("{get}Host: {SHOP}:443\r\n\r\n"), Some("web")),
        (format!("{get}Host: SHOP.example.COM\r\n\r\n"), Some("web")),
        (format!("{get}Host: other.example.com\r\n\r\n"), None),
        (format!("{get}Host: {ADMIN}.evil.example\r\n\r\n"), None),
        (format!("{get}Host: x@{ADMIN}\r\n\r\n"), None),
        (format!("{get}Host: {SHOP}/{ADMIN}\r\n\r\n"), None),
        (format!("{get}Host: {SHOP} {ADMIN}\r\n\r\n"), None),
        (format!("{get}Host: {SHOP}\r\nHost: {ADMIN}\r\n\r\n"), None),
        (format!("{get}Host:\r\n\r\n"), None),
        (format!("{get}\r\n"), None),
        ("GET / HTTP/1.0\r\n\r\n".to_owned(), None),
        ("GET /\r\n".to_owned(), None),
        (
            format!("GET http://other.example.com/ HTTP/1.1\r\nHost: {SHOP}\r\nConnection: close\r\n\r\n"),
            None,
        ),
        (
            format!("GET //{ADMIN}/ HTTP/1.1\r\nHost: {SHOP}\r\nConnection: close\r\n\r\n"),
            Some("web"),
        ),
        (
            format!("CONNECT {ADMIN}:443 HTTP/1.1\r\nHost: {SHOP}\r\nConnection: close\r\n\r\n"),
            None,
        ),
        (
            format!("TRACE / HTTP/1.1\r\nHost: {SHOP}\r\nConnection: close\r\n\r\n"),
            None,
        ),
        // Two lengths of one request, as one request inside another needs.
        (
            format!(
                "POST / HTTP/1.1\r\nHost: {SHOP}\r\nConnection: close\r\nContent-Length: 30\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /api HTTP/1.1\r\n\r\n"
            ),
            None,
        ),
    ] {
        let answer = routed.send(&request).await;
        assert_eq!(answer.service(), service, "{request}: {answer:?}");
        if let Some(service) = service {
            let host = if service == "web" { SHOP } else { ADMIN };
            assert!(
                answer.body.contains(&format!("\r\nHost: {host}\r\n")),
                "{request}: {answer:?}"
            );
        }
    }
    let answer = routed
        .ask(
            "GET",
            SHOP,
            "/",
            "X-Forwarded-Host: evil.example\r\nForwarded: host=evil.example\r\nX-Forwarded-Prefix: //evil.example\r\n\
             X-Original-URL: /api\r\nX-Rewrite-URL: /api\r\nX-Forwarded-For: 192.0.2.1\r\nProxy: evil.example\r\n\
             X-Forwarded-Server: evil.example\r\nX-Forwarded-Port: 1\r\nTraceparent: kept\r\n",
        )
        .await;
    let seen = answer.body.to_lowercase();
    for forged in ["evil", "/api", "192.0.2.1", "x-forwarded-port"] {
        assert!(!seen.contains(forged), "{forged}: {answer:?}");
    }
    assert!(seen.contains("traceparent: kept"), "{answer:?}");
}

#[tokio::test]
async fn redirects_keep_the_rest_and_lead_nowhere_else() {
    let routed = Routed::start().await;
    for (host, path, status, location) in [
        (SHOP, "/old", 308, "https://new.example.com/shop/"),
        (SHOP, "/old?a=1", 308, "https://new.example.com/shop/?a=1"),
        (SHOP, "/old/x/y?a=1", 308, "https://new.example.com/shop/x/y?a=1"),
        (
            SHOP,
            "/old/%0d%0aSet-Cookie:x",
            308,
            "https://new.example.com/shop/%0d%0aSet-Cookie:x",
        ),
        (
            SHOP,
            "/old//evil.example/",
            308,
            "https://new.example.com/shop//evil.example/",
        ),
        (SHOP, "/moved", 302, "https://shop.example.com/docs/"),
        (
            SHOP,
            "/moved//evil.example",
            302,
            "https://shop.example.com/docs//evil.example",
        ),
        // Not as it is written in the route: without the rest.
        (SHOP, "//old/x", 308, "https://new.example.com/shop/"),
        ("www.example.com", "/x?a=1", 308, "https://shop.example.com/x?a=1"),
        (
            "www.example.com",
            "//evil.example/",
            308,
            "https://shop.example.com//evil.example/",
        ),
        (
            "www.example.com",
            "/.evil.example",
            308,
            "https://shop.example.com/.evil.example",
        ),
        (SHOP, "/docs?a=1", 308, "/docs/?a=1"),
        (SITE, "/docs?a=1", 301, "/docs/?a=1"),
        (SITE, "//docs", 301, "/docs/"),
    ] {
        let answer = routed.get(host, path).await;
        let got = (answer.status, answer.header("Location"));
        assert_eq!(got, (Some(status), Some(location)), "{host}{path}: {answer:?}");
        assert_eq!(answer.header("Set-Cookie"), None, "{host}{path}");
    }
    let posted = routed.ask("POST", SHOP, "/old/x", "Content-Length: 0\r\n").await;
    assert_eq!(posted.status, Some(308));
}

#[tokio::test]
async fn files_come_with_their_types_and_no_others_come() {
    let routed = Routed::start().await;
    let host = &routed.host;
    host.write("/store/secret.txt", "beside the site");
    for (name, path, status, kind) in [
        (SITE, "/", 200, "text/html; charset=utf-8"),
        (SITE, "/index.html", 200, "text/html; charset=utf-8"),
        (SITE, "/style.css", 200, "text/css"),
        (
            SITE,
            "/assets/app-5d41402a.js",
            200,
            "application/javascript; charset=utf-8",
        ),
        (SITE, "/docs/", 200, "text/html; charset=utf-8"),
        (SITE, "//docs//index.html", 200, "text/html; charset=utf-8"),
        (
            SITE,
            "/.well-known/security.txt",
            200,
            "text/plain; charset=utf-8",
        ),
        (SITE, "/assets/", 404, "text/html"),
        (SITE, "/missing", 404, "text/html"),
        (SITE, "/STYLE.css", 404, "text/html"),
        (SITE, "/.hidden", 404, "text/html"),
        (SITE, "/%2ehidden", 404, "text/html"),
        (SITE, "/docs/../.hidden", 400, "text/html"),
        (SITE, "/../secret.txt", 400, "text/html"),
        (SITE, "/..%2fsecret.txt", 400, "text/html"),
        (SITE, "/docs/..%2f..%2fsecret.txt", 400, "text/html"),
        (SITE, "/style.css/", 404, "text/html"),
        (SHOP, "/docs/", 200, "text/html; charset=utf-8"),
        (SHOP, "/docs/docs/", 200, "text/html; charset=utf-8"),
        (SHOP, "/docs../secret.txt", 200, ""),
        (SHOP, "/docs/missing", 404, "text/html"),
        (SHOP, "/docs/.hidden", 404, "text/html"),
        (SHOP, "/app/", 200, "text/html; charset=utf-8"),
        (SHOP, "/app/style.css", 200, "text/css"),
        (SHOP, "/app/orders/7", 200, "text/html; charset=utf-8"),
        (SHOP, "/app/.hidden", 404, "text/html"),
        (
            SHOP,
            "/app/assets/app-5d41402a.js",
            200,
            "application/javascript; charset=utf-8",
        ),
        (SHOP, "/app/assets/app-0.js", 404, "text/html"),
    ] {
        let answer = routed.get(name, path).await;
        assert_eq!(answer.status, Some(status), "{name}{path}: {answer:?}");
        // `/docs..` is another path than `/docs`.
        if kind.is_empty() {
            assert_eq!(answer.service(), Some("web"), "{name}{path}: {answer:?}");
        } else {
            let got = answer.header("Content-Type").unwrap();
            assert!(got.starts_with(kind), "{name}{path}: {got}");
        }
        assert!(
            !answer.body.contains("Nobody") && !answer.body.contains("beside"),
            "{name}{path}"
        );
    }
    for method in ["POST", "PUT", "DELETE", "FOO"] {
        let answer = routed.ask(method, SITE, "/", "Content-Length: 0\r\n").await;
        assert_eq!(answer.status, Some(405), "{method}: {answer:?}");
    }
    let head = routed.ask("HEAD", SITE, "/", "").await;
    assert_eq!((head.status, head.body.as_str()), (Some(200), ""));
}

#[tokio::test]
async fn clients_keep_files_as_long_as_they_are_the_same() {
    let routed = Routed::start().await;
    let first = routed.get(SITE, "/style.css").await;
    let tag = first.header("ETag").unwrap().to_owned();
    assert_eq!(first.header("Last-Modified"), None);
    assert_eq!(first.header("Cache-Control"), Some("no-cache"));
    assert!(first.header("Strict-Transport-Security").is_some());
    assert_eq!(first.header("X-Content-Type-Options"), Some("nosniff"));

    let ask = async |path: &str, headers: &str| {
        let answer = routed.ask("GET", SITE, path, headers).await;
        (
            answer.status.unwrap(),
            answer.header("ETag").map(ToOwned::to_owned),
        )
    };
    let same = Some(tag.clone());
    let known = format!("If-None-Match: {tag}\r\n");
    let list = format!("If-None-Match: \"other\", {tag}\r\n");
    assert_eq!(ask("/style.css", &known).await, (304, same.clone()));
    assert_eq!(ask("/style.css", &list).await, (304, same.clone()));
    assert_eq!(
        ask("/style.css", "If-None-Match: W/\"other\"\r\n").await,
        (200, same.clone())
    );
    // Every file of the store is of 1970, so time says nothing.
    let later = "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT\r\n";
    assert_eq!(ask("/style.css", later).await, (200, same));
    assert_eq!(ask("/missing", &known).await, (404, None));
    assert_eq!(ask("/.hidden", &known).await, (404, None));

    let kept = routed.get(SHOP, "/app/assets/app-5d41402a.js").await;
    assert_eq!(
        kept.header("Cache-Control"),
        Some("public, max-age=31536000, immutable")
    );
    let missing = routed.get(SHOP, "/app/assets/app-0.js").await;
    assert_eq!(missing.header("Cache-Control"), None);
    // The same package with another fallback has other answers.
    let other = routed.get(SHOP, "/app/style.css").await;
    assert_ne!(other.header("ETag"), Some(tag.as_str()));

    routed.host.write("/store/site/style.css.gz", "packed");
    let packed = routed
        .ask("GET", SITE, "/style.css", "Accept-Encoding: gzip\r\n")
        .await;
    assert_eq!(packed.header("Content-Encoding"), Some("gzip"));
    assert_eq!(packed.header("Vary"), Some("Accept-Encoding"));
    assert_eq!(packed.body, "packed");
}

#[tokio::test]
async fn a_stream_comes_as_it_is_written_and_upgrades_to_websockets_only() {
    let routed = Routed::start().await;
    let mut events = routed.connect().await;
    events
        .write_all(format!("GET /live/events HTTP/1.1\r\nHost: {SHOP}\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let mut seen = String::new();
    while !seen.contains("data: 1") {
        seen.push_str(&read(&mut events).await);
    }
    assert!(!seen.contains("data: 2"));
    routed.next.notify_one();
    while !seen.contains("data: 2") {
        seen.push_str(&read(&mut events).await);
    }

    let upgrade = |path: &str, to: &str| {
        format!(
            "GET {path} HTTP/1.1\r\nHost: {SHOP}\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: {to}\r\n\
             HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n"
        )
    };
    let mut socket = routed.connect().await;
    socket
        .write_all(upgrade("/live/x", "WebSocket").as_bytes())
        .await
        .unwrap();
    assert!(read(&mut socket).await.starts_with("HTTP/1.1 101 "));
    for word in ["one", "two"] {
        socket.write_all(word.as_bytes()).await.unwrap();
        assert_eq!(read(&mut socket).await, word);
    }
    // The whole of what is closed lies behind such a connection.
    for (path, to) in [("/live/x", "h2c"), ("/live/x", "tls/1.0"), ("/x", "websocket")] {
        let mut plain = routed.connect().await;
        plain.write_all(upgrade(path, to).as_bytes()).await.unwrap();
        let answer = read(&mut plain).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{path} to {to}: {answer}");
    }
}
