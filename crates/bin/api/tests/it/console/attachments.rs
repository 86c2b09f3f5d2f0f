//! What is attached to a release, on its pages.

use slipway_api::attachment::MOST_HELD;

use super::*;

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn what_is_attached_is_counted_searched_and_saved_and_never_markup(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &["web-1"]).await;
    app.release(&["web-1"]).await;
    let person = Browser::signed_in(&app, &app.admin).await;
    let without = person.get("/releases/1").await;
    assert!(
        without.text.contains("No bill of materials is attached."),
        "{}",
        without.text
    );
    assert_eq!(person.get("/releases/1/components").await.status, 404);

    let evil = "<script>alert(1)</script>";
    let mut components: Vec<_> = (0..150)
        .map(|n| json!({ "name": format!("lib-{n:03}") }))
        .collect();
    components.push(json!({ "name": evil, "version": evil, "purl": "javascript:alert(1)" }));
    let sbom = json!({ "bomFormat": "CycloneDX", "specVersion": "1.6", "components": components,
        "vulnerabilities": [{ "id": evil, "ratings": [{ "severity": "critical" }], "affects": [{ "ref": evil }] },
            { "id": "CVE-2", "ratings": [{ "severity": "high" }], "analysis": { "state": "not_affected" } }] });
    let sbom = sbom.to_string();
    for kind in ["sbom", "vulnerabilities"] {
        let body = json!({ "kind": kind, "document": sbom });
        app.post("/api/v1/releases/1/attachments", body).await.expect(200);
    }
    for (page, parts) in [
        (
            "/releases/1",
            &[
                "151 components",
                "1 known vulnerability",
                "1 critical",
                "1 dismissed",
                "CycloneDX 1.6",
            ][..],
        ),
        (
            "/releases/1/components",
            &["151 found, page 1 of 2", "lib-098", "&lt;script&gt;"],
        ),
        ("/releases/1/components?page=2", &["lib-149"]),
        ("/releases/1/components?q=LIB-14", &["10 found", "lib-149"]),
        ("/releases/1/components?q=nothing", &["Nothing fits."]),
        (
            "/releases/1/vulnerabilities",
            &["critical", "&lt;script&gt;", "not affected"],
        ),
    ] {
        let got = person.get(page).await;
        assert_eq!(got.status, 200, "{page}: {}", got.text);
        assert!(
            !got.text.contains("<script>alert") && !got.text.contains("href=\"javascript"),
            "{page}: {}",
            got.text
        );
        for part in parts {
            assert!(got.text.contains(part), "{page} lacks {part}: {}", got.text);
        }
    }
    let saved = person.get("/releases/1/documents/sbom?version=1").await;
    assert_eq!((saved.status, saved.text.as_str()), (200, sbom.as_str()));
    assert_eq!(
        saved.header("content-disposition"),
        "attachment; filename=\"sbom-1.json\""
    );
    assert_eq!(saved.header("content-type"), "application/json");
    for path in [
        "/releases/1/documents/other",
        "/releases/1/documents/sbom?version=9",
        "/releases/9/documents/sbom",
    ] {
        let got = person.get(path).await;
        assert!((400..500).contains(&got.status), "{path}: {}", got.status);
    }
}

/// A document keeps its place while the bytes of the page are in memory.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn only_a_few_documents_are_saved_at_once(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &["web-1"]).await;
    app.release(&["web-1"]).await;
    let body = json!({ "kind": "sbom", "document": r#"{ "bomFormat": "CycloneDX" }"# });
    app.post("/api/v1/releases/1/attachments", body).await.expect(200);
    let person = Browser::signed_in(&app, &app.admin).await;
    let save = async || {
        let path = "/releases/1/documents/sbom";
        person.open(Method::GET, path, String::new(), &[]).await
    };
    let mut held = Vec::new();
    for _ in 0..MOST_HELD {
        let answer = save().await;
        assert_eq!(answer.status(), 200);
        held.push(answer.into_body().collect().await.unwrap().to_bytes());
    }
    assert_eq!(save().await.status(), 503);
    held.pop();
    assert_eq!(save().await.status(), 200);
}
