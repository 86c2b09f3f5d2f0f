//! What an agent does to a machine
