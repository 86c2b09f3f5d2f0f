//! The program as a process: start, health, sockets, signals, and a database that goes and comes.

mod connections;
mod dependencies;
mod documents;
mod harness;
mod leavers;
mod start;
mod stop;
