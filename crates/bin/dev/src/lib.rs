//! Postgres, Redis, nginx, api replicas, workers and agents on one machine. The script `./dev` and the tests
//! of the whole system use this crate; no other crate may. It must never touch anything on the machine that
//! it did not start or create.
//!
//! Everything that a run starts lives in one private folder and carries one marker in its environment. So a
//! later run can recognize and end what a killed run left behind.

pub mod checkout;
pub mod cleanup;
pub mod cli;
pub mod cluster;
pub mod demo;
pub mod faults;
pub mod fleet;
pub mod leftovers;
pub mod monitoring;
pub mod nginx;
pub mod nginx_conf;
pub mod nix;
pub mod ports;
pub mod postgres;
pub mod programs;
pub mod redis;
pub mod run;
pub mod run_dir;
pub mod say;
pub mod service_user;
pub mod services;
pub mod session;
pub mod spec;
pub mod sqlx;
pub mod stack;
pub mod supervise;
pub mod test;
pub mod tls;
pub mod up;
pub mod webhook;
