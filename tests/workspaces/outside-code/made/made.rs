const MADE: u8 = 1;
