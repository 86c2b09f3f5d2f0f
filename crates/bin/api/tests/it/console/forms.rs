//! Forms that are refused, and the addresses that they leave behind.

use super::*;

/// Sends a form of the page, with its secret.
async fn send(person: &Browser<'_>, path: &str, form: &str) -> Got {
    let secret = person.get("/").await.hidden("secret");
    person.post(path, &format!("secret={secret}&{form}"), &[]).await
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_refused_form_comes_back_as_it_was_typed(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &["web-1"]).await;
    app.release(&["web-1"]).await;
    let person = Browser::signed_in(&app, &app.admin).await;
    for (path, form, title, kept) in [
        (
            "/environments",
            "do=create&name=next&approval=on&windows=Mon..Fri+09:00-17:00&strategy={}",
            "Fleet",
            &[
                "value=\"next\"",
                "\nMon..Fri 09:00-17:00</textarea>",
                "id=\"wrong-windows\"",
            ][..],
        ),
        (
            "/environments/prod/freezes",
            "do=freeze&from=2026-12-24T18:00&until=soon&reason=year's+end",
            "prod",
            &[
                "value=\"2026-12-24T18:00\"",
                "value=\"year's end\"",
                "id=\"wrong-until\"",
            ],
        ),
        (
            "/hosts",
            "do=create&name=web-9&environment=prod&labels=role",
            "Hosts",
            &["value=\"web-9\"", "value=\"role\"", "id=\"wrong-labels\""],
        ),
        (
            "/hosts/web-1",
            "do=retire&confirm=web-2",
            "web-1",
            &["value=\"web-2\"", "id=\"wrong-confirm\""],
        ),
        (
            "/access/people",
            "do=create&name=ada&role=approver&environment_roles=prod",
            "Access",
            &[
                "value=\"ada\"",
                "<option value=\"approver\" selected>",
                "id=\"wrong-environment_roles\"",
            ],
        ),
        (
            "/releases/1/start?environment=prod",
            "do=start&hosts=web-1+web-7&reboot=on",
            "Roll out #1",
            &[
                "value=\"web-1 web-7\"",
                "name=\"reboot\" checked",
                "<details open>",
            ],
        ),
    ] {
        let got = send(&person, path, form).await;
        assert!(
            (400..500).contains(&got.status),
            "{path}: {} {}",
            got.status,
            got.text
        );
        assert!(
            got.text.contains(&format!("<title>{title}")),
            "{path}: {}",
            got.text
        );
        for part in kept.iter().chain(&["Not done: "]) {
            assert!(got.text.contains(part), "{path} lacks {part}: {}", got.text);
        }
        // Only this form is open, and no news takes away what was typed.
        let open = got.text.matches(" open>").count();
        assert_eq!(open, 1, "{path}: {}", got.text);
        assert!(!got.text.contains("data-live"), "{path}");
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn no_secret_comes_back(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let person = Browser::signed_in(&app, &app.admin).await;
    let form = "do=create&label=CI&expires_in_days=30&environments=nowhere";
    let token = "slw_5ec2e75ec2e75ec2e7";
    for secrets in [
        format!("token={token}"),
        format!("password={token}"),
        format!("token={}&password={token}", app.admin),
    ] {
        let got = send(&person, "/access/tokens", &format!("{form}&{secrets}")).await;
        assert!((400..500).contains(&got.status), "{}", got.text);
        assert!(
            got.text.contains("value=\"CI\"") && got.text.contains("value=\"30\""),
            "{}",
            got.text
        );
        // Whoever typed it sees that it is gone.
        assert_eq!(
            got.text.matches("(type it again)").count(),
            secrets.split('&').count(),
            "{}",
            got.text
        );
        assert!(
            !got.text.contains(token) && !got.text.contains(&app.admin),
            "{}",
            got.text
        );
    }
    // The words are those of the form, and not those for programs.
    for (given, words) in [
        ("token=slw_00", "this token does not work"),
        ("token=", "give one of them"),
    ] {
        let got = send(&person, "/access/tokens", &format!("do=create&label=CI&{given}")).await;
        assert!(
            got.text.contains(words) && got.text.contains("id=\"wrong-token\""),
            "{}",
            got.text
        );
        assert!(!got.text.contains("Bearer"), "{}", got.text);
    }
    let wrong = Browser::new(&app).post("/sign-in", "token=slw_00", &[]).await;
    assert!(wrong.text.contains("this token does not work"), "{}", wrong.text);
    assert!(
        !wrong.text.contains("Bearer") && !wrong.text.contains("slw_00"),
        "{}",
        wrong.text
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn where_only_forms_go_leads_to_their_page(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let person = Browser::signed_in(&app, &app.admin).await;
    for (path, page) in [
        ("/environments", "/"),
        ("/environments/prod/freezes", "/environments/prod"),
        ("/environments/prod/freezes/1", "/environments/prod/freezes"),
        ("/access/people", "/access"),
        ("/access/people/ada", "/access/people"),
        ("/access/tokens", "/access"),
        ("/audit/check", "/audit"),
        ("/sessions/1", "/sessions"),
        ("/sign-out", "/"),
    ] {
        let got = person.get(path).await;
        assert_eq!(
            (got.status, got.header("location")),
            (303, page),
            "{path}: {}",
            got.text
        );
    }
    let got = person.send(Method::PUT, "/audit/check", String::new(), &[]).await;
    assert_eq!(got.status, 405, "{}", got.text);
    // The API's own answer stays as it is.
    assert_eq!(
        app.call(Method::PUT, route::WHOAMI, &app.admin, None)
            .await
            .kind(),
        "method-not-allowed"
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn addresses_have_numbers_and_what_is_refused_has_the_navigation(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &["web-1", "web-2"]).await;
    app.release(&["web-1", "web-2"]).await;
    let person = Browser::signed_in(&app, &app.admin).await;
    let labelled = send(&person, "/hosts/web-1", "do=label&label=role&value=web").await;
    assert_eq!(labelled.header("location"), "/hosts/web-1", "{}", labelled.text);

    // Another look, at one host: nothing begins.
    let start = "/releases/1/start?environment=prod";
    let again = send(&person, start, "do=start&preview=on&hosts=web-2").await;
    assert_eq!(again.status, 200, "{}", again.text);
    assert!(
        again.text.contains("1 host") && !again.text.contains(">web-1<"),
        "{}",
        again.text
    );
    assert!(again.text.contains("Roll out #1 to prod?"), "{}", again.text);
    let list = app.get(route::ROLLOUTS).await;
    assert_eq!(list.body["items"].as_array().unwrap().len(), 0);

    // The environment's page leads there too.
    let newest = "/releases/latest@prod/start?environment=prod";
    let page = person.get("/environments/prod").await.text;
    assert!(page.contains(&format!("href=\"{newest}\"")), "{page}");
    let preview = person.get(newest).await.text;
    assert!(preview.contains("Roll out #1 to prod?"), "{preview}");

    let started = send(&person, start, "do=start").await;
    assert_eq!(started.header("location"), "/rollouts/1", "{}", started.text);
    let busy = person.get(start).await.text;
    assert!(busy.contains("<button class=\"primary\" disabled>"), "{busy}");
    assert!(busy.contains("href=\"/rollouts/1\""), "{busy}");
    let host = person.get("/hosts/web-1").await.text;
    assert!(
        host.contains("href=\"/rollouts/1\"") && !host.contains("href=\"/rollouts/0"),
        "{host}"
    );
    let asked = person.get("/releases/1/start").await.text;
    assert!(asked.contains("<select name=\"environment\">"), "{asked}");

    for path in [
        "/hosts/web-9",
        "/releases/9",
        "/nowhere",
        "/rollouts?environment=No!",
    ] {
        let got = person.get(path).await;
        assert!((400..500).contains(&got.status), "{path}: {}", got.status);
        assert!(
            got.text.contains("<nav aria-label=\"Pages\">"),
            "{path}: {}",
            got.text
        );
        assert!(!got.text.contains("slipway host"), "{path}: {}", got.text);
        let stranger = Browser::new(&app).get("/nowhere").await;
        assert_eq!(stranger.status, 404);
        assert!(!stranger.text.contains("<nav"), "{}", stranger.text);
    }
}
