//! Databases, clocks and fleets for tests
