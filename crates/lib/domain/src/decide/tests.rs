//! Examples of single rounds; the properties are in tests/.
