use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, patch};
use serde_json::json;

use super::*;
use crate::lock;
use crate::restore::{RestoreRequest, run};

/// A member whose Patroni is there.
fn config(folder: &Path, patroni: &str) -> Config {
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
        ])
        .args(["-keyout", "key.pem", "-out", "ca.pem", "-subj", "/CN=authority"])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    fs::write(folder.join("operator"), "a password of the test").unwrap();
    let config = json!({
        "stack": "shop", "state_dir": folder,
        "database": {
            "name": "shop", "host": folder, "user": "u", "bin_dir": "/usr/bin", "data_dir": folder.join("data")
        },
        "cluster": {
            "name": "main", "member": "ha-1", "operator": "patroni", "patroni": { "ha-1": patroni },
            "authority": folder.join("ca.pem"), "certificate": folder.join("ca.pem"), "key": folder.join("key.pem"),
            "operator_password_file": { "path": folder.join("operator") }
        }
    });
    Config::parse(&config.to_string()).unwrap()
}

/// Patroni does what it is asked, and says at the first `lost` times that it failed. Afterwards it is away if so said.
async fn patroni(lost: usize) -> String {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let change = move || async move {
        match count.fetch_add(1, Ordering::SeqCst) {
            before if before < lost => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::OK,
        }
    };
    let cluster = move || async move {
        let paused = asked.load(Ordering::SeqCst) < 2 || lost > 1;
        axum::Json(json!({ "members": [], "pause": paused }))
    };
    let app = Router::new()
        .route("/config", patch(change))
        .route("/cluster", get(cluster));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}")
}

#[tokio::test]
async fn a_pause_that_may_hold_is_ended_or_not_forgotten() {
    for (lost, kept) in [(1, false), (2, true)] {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path(), &patroni(lost).await);
        let members = config.cluster.as_ref().unwrap();
        let note = Journal {
            started: clock::now(),
            target: "latest".to_owned(),
            timeline: 2,
        };
        let live = View {
            members: Vec::new(),
            paused: false,
        };
        let failure = pause(&config, members, &note, &live).await.unwrap_err();
        assert_eq!(unfinished(&config).is_some(), kept, "{failure}");
        assert_eq!(failure.mentions("restore --resume"), kept, "{failure}");
    }
}

#[tokio::test]
async fn only_one_restores_or_goes_on_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), "http://127.0.0.1:1");
    let _first = lock::take(folder.path(), "restore", Duration::ZERO)
        .await
        .unwrap();
    let replace = RestoreRequest::Time {
        target: Target::Latest,
        into: None,
        replace: true,
        timeline: None,
        pause: false,
    };
    for wanted in [RestoreRequest::Resume, replace] {
        let failure = run(&config, wanted).await.unwrap_err();
        assert!(
            failure.mentions("another run holds the lock `restore`"),
            "{failure}"
        );
    }
}
