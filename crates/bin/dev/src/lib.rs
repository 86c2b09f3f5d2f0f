//! Postgres, Redis, nginx, api replicas, workers and agents on one machine.
//!
//! Everything a run starts lives in one private folder and carries one marker in its environment, so that
//! whatever way the run ends, what it started can be told from everything else on the machine and ended.

pub mod cleanup;
pub mod cli;
pub mod demo;
pub mod fleet;
pub mod leftovers;
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
