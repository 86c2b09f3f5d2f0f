//! Runs docs/coming-from-compose.md and docs/moving-from-compose.md: their commands, with the control plane as the stack
//! `shop`, and their names, which must be those of the reference pages.
//!
//! What stands after `  # ` in a block must be in what the block prints. Blocks that begin with `sh host` need a NixOS
//! host: tests/nixos/coming-from-compose.nix runs them. Blocks of `nix` are evaluated by tests/eval/docs.nix.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

#[path = "../common/mod.rs"]
mod common;
mod moving;
mod names;

use std::fs;

use common::page::{blocks, checkout, of_table, printed};
use moving::Move;

const PAGES: [&str; 2] = ["docs/coming-from-compose.md", "docs/moving-from-compose.md"];

/// Both pages, one after the other.
fn text() -> String {
    PAGES
        .map(|page| fs::read_to_string(checkout().join(page)).unwrap())
        .concat()
}

/// What a block says that it prints, in its order.
fn expected(block: &str) -> Vec<&str> {
    let said = block.lines().filter_map(|line| Some(line.split_once("  # ")?.1));
    said.flat_map(|said| said.split(" … ")).collect()
}

/// The first of these that does not follow the ones before it.
fn missing<'a>(said: &[&'a str], printed: &str) -> Option<&'a str> {
    let mut rest = printed;
    for part in said {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return Some(part),
        }
    }
    None
}

#[tokio::test]
async fn the_commands_of_the_page_print_what_it_says() {
    let moved = Move::new().await;
    let page = text();
    let commands = blocks(&page, "sh");
    assert!(commands.len() > 20, "{}", commands.len());
    let mut said = 0;
    // All of them: whoever changed the page wants to know at once.
    let mut wrong = Vec::new();
    for block in &commands {
        let ran = moved.shell(block).await;
        let printed = printed(&ran);
        let expected = expected(block);
        said += expected.len();
        let missing = missing(&expected, &printed);
        if !ran.status.success() || missing.is_some() {
            wrong.push(format!(
                "{:?}, without {missing:?}:\n{block}\n{printed}",
                ran.status
            ));
        }
        if block.contains("systemctl kill") {
            moved.rig.run.supervisor.start_again("api-1").unwrap();
            let plane = &moved.rig.stack.control_plane;
            plane.wait_ready(&moved.rig.run, "api-1").await.unwrap();
        }
    }
    assert!(said > 25, "only {said} answers are on the page");

    let mut looked = 0;
    for heading in ["\nBefore a deploy.", "\nSecurity:", "\nAfter a deploy."] {
        for command in of_table(&page, heading) {
            let here = ["curl ", "slipway ", "slipway-backup "];
            // Of a host; and one whose answer is a code of its own, which a block has.
            let apart = command.contains("restore ") || command == "slipway verify";
            if here.iter().any(|start| command.starts_with(start)) && !apart {
                looked += 1;
                let ran = moved.shell(&command).await;
                if !ran.status.success() {
                    wrong.push(format!("{:?}: {command}\n{}", ran.status, printed(&ran)));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(looked > 8, "only {looked} commands of the checklists were run");

    // Both ways were gone, and each side has what was there, with its own rights.
    let rows = "SELECT (SELECT count(*) FROM customers), (SELECT count(*) FROM orders), (SELECT max(total) FROM billing.\"Invoices\")";
    for server in [&moved.old, &moved.rig.stack.postgres] {
        assert_eq!(
            server.query("postgres", "shop", rows).await.unwrap(),
            "500|20000|7000"
        );
        let owners = "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname IN ('public', 'billing')";
        assert_eq!(server.query("postgres", "shop", owners).await.unwrap(), "shop");
        let next = "SELECT nextval('orders_id_seq')";
        assert_eq!(server.query("postgres", "shop", next).await.unwrap(), "20001");
    }
    let called = fs::read_to_string(moved.bench.at("called")).unwrap();
    for call in [
        "docker compose stop api worker",
        "docker compose start api worker",
        "systemctl stop shop.target",
        "systemctl kill --signal=KILL shop-api-1",
    ] {
        assert!(
            called.contains(call),
            "`{call}` is not on the page any more: {called}"
        );
    }
    moved.old_run.close().await.unwrap();
    moved.rig.run.close().await.unwrap();
}

#[test]
fn an_answer_in_another_order_is_missed() {
    let block = "one          # a … b\ntwo\nthree  # c  # d\n";
    assert_eq!(expected(block), ["a", "b", "c  # d"]);
    assert_eq!(missing(&["a", "b"], "xaxb"), None);
    assert_eq!(missing(&["b", "a"], "xaxb"), Some("a"));
}
