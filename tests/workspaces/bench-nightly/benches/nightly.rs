#![feature(test)]
extern crate test;
