//! A process that breaks down leaves no copy of its memory: that would hold every secret it has.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The size of a dump, in bytes. With 0 nothing is written, but the kernel passes the whole memory to a program in
/// `core_pattern`. With 1 it does not begin a dump.
const LARGEST: u64 = 1;

/// Forbids core dumps of this process and of what it starts. To be called before any secret is read.
///
/// The process stays dumpable, as it reads its own numbers in `/proc`; see decision 30.
pub fn forbid_core_dumps() {
    let most = getrlimit(Resource::Core)
        .maximum
        .map_or(LARGEST, |most| most.min(LARGEST));
    let none = Rlimit {
        current: Some(most),
        maximum: Some(most),
    };
    // Lowering a limit is always allowed.
    let _ = setrlimit(Resource::Core, none);
}
