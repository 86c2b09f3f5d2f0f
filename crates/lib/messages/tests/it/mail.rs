//! E-mail, to a server that takes it.

use std::sync::{Arc, Mutex};

use slipway_domain::DeliveryState;
use slipway_store::messages::Access;
use sqlx::PgPool;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::support::World;

/// An SMTP server as far as a sender of one e-mail needs one (RFC 5321). It keeps what it is given.
struct MailServer {
    port: u16,
    got: Arc<Mutex<Vec<Mail>>>,
}

#[derive(Debug, Clone, Default)]
struct Mail {
    from: String,
    to: Vec<String>,
    lines: Vec<String>,
}

impl MailServer {
    /// Refuses recipients that begin with `no`, and takes nothing at all for the first so many connections.
    async fn start(refused_at_first: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, got) = (listener.local_addr().unwrap().port(), Arc::default());
        let kept = Arc::clone(&got);
        tokio::spawn(async move {
            for n in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                let _ = serve(stream, &kept, n < refused_at_first).await;
            }
        });
        Self { port, got }
    }
}

async fn serve(stream: TcpStream, got: &Mutex<Vec<Mail>>, refuses: bool) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut mail = Mail::default();
    stream.write_all(b"220 test ESMTP\r\n").await?;
    let mut line = String::new();
    let mut is_data = false;
    while stream.read_line(&mut line).await? > 0 {
        let text = line.trim_end().to_owned();
        line.clear();
        let answer = if is_data {
            if text != "." {
                mail.lines
                    .push(text.strip_prefix('.').unwrap_or(&text).to_owned());
                continue;
            }
            is_data = false;
            got.lock().unwrap().push(std::mem::take(&mut mail));
            "250 taken"
        } else if text.starts_with("EHLO") {
            "250 test"
        } else if let Some(from) = text.strip_prefix("MAIL FROM:") {
            from.clone_into(&mut mail.from);
            if refuses { "451 later" } else { "250 ok" }
        } else if let Some(to) = text.strip_prefix("RCPT TO:") {
            mail.to.push(to.to_owned());
            if to.starts_with("<no") {
                "550 nobody"
            } else {
                "250 ok"
            }
        } else if text == "DATA" {
            is_data = true;
            "354 go on"
        } else if text == "QUIT" {
            stream.write_all(b"221 bye\r\n").await?;
            return Ok(());
        } else {
            "250 ok"
        };
        stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
    Ok(())
}

fn to(recipients: &[&str]) -> Access {
    Access::Email {
        recipients: recipients.iter().map(|&to| to.to_owned()).collect(),
    }
}

fn settings(port: &str) -> [(&str, &str); 4] {
    [
        ("SMTP_HOST", "127.0.0.1"),
        ("SMTP_PORT", port),
        ("SMTP_TLS", "none"),
        ("SMTP_FROM", "Slipway <slipway@example.org>"),
    ]
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn an_email_reaches_everybody_and_comes_again_with_the_same_id(pool: PgPool) {
    let (world, server) = (World::new(pool).await, MailServer::start(1).await);
    world
        .destination("mail", to(&["ops@example.org", "me@example.org"]))
        .await;
    world.start_with(&settings(&server.port.to_string()));
    let rollout = world.fleet.rollout(1).await;
    let error = world.tried("mail", 1).await.last_error.unwrap();
    assert!(error.contains("refused it with 451"), "{error}");
    world.let_time_pass().await;
    let delivery = world.tried("mail", 2).await;
    assert_eq!(delivery.state, DeliveryState::Delivered);
    let mail = server.got.lock().unwrap().pop().unwrap();
    assert!(mail.from.contains("<slipway@example.org>"), "{}", mail.from);
    assert_eq!(mail.to, ["<ops@example.org>", "<me@example.org>"]);
    let has = |start: &str| mail.lines.iter().any(|line| line.starts_with(start));
    for line in [
        "From: ",
        "Subject: [slipway] prod: rollout #1 of #1 waits for approval",
        &format!("Message-ID: <{}@example.org>", delivery.id),
        &format!("References: <rollout-{rollout}@example.org>"),
        "Auto-Submitted: auto-generated",
        "Content-Type: text/plain; charset=utf-8",
        &format!("https://slipway.example.org/rollouts/{rollout}"),
    ] {
        assert!(has(line), "no {line}: {:#?}", mail.lines);
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_recipient_that_is_refused_keeps_it_from_all_and_is_told(pool: PgPool) {
    let (world, server) = (World::new(pool).await, MailServer::start(0).await);
    world
        .destination("mail", to(&["ops@example.org", "nobody@example.org"]))
        .await;
    world.start_with(&settings(&server.port.to_string()));
    world.fleet.rollout(1).await;
    let delivery = world.tried("mail", 1).await;
    assert_eq!(delivery.state, DeliveryState::Waiting);
    assert!(delivery.last_error.unwrap().contains("refused it with 550"));
    assert!(server.got.lock().unwrap().is_empty());
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn without_a_server_or_with_one_that_is_away_the_delivery_says_so(pool: PgPool) {
    let world = World::new(pool).await;
    world.destination("mail", to(&["ops@example.org"])).await;
    world.start_with(&[]);
    world.fleet.rollout(1).await;
    let error = world.tried("mail", 1).await.last_error.unwrap();
    assert!(
        error.contains("set SMTP_HOST and SMTP_FROM of the worker"),
        "{error}"
    );
}

/// The server takes no encryption: what it is offered is not sent in the clear.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn email_that_is_to_be_encrypted_is_never_sent_otherwise(pool: PgPool) {
    let (world, server) = (World::new(pool).await, MailServer::start(0).await);
    world.destination("mail", to(&["ops@example.org"])).await;
    let port = server.port.to_string();
    let mut settings = settings(&port);
    settings[2].1 = "starttls";
    world.start_with(&settings);
    world.fleet.rollout(1).await;
    assert!(world.tried("mail", 1).await.last_error.is_some());
    assert!(server.got.lock().unwrap().is_empty());
}
