//! The documentation against the product: every command in it is run, every link leads somewhere, every flag is in it, and nothing is
//! said in two places. What a page says about single answers is held elsewhere, with the descriptions of the API.

mod commands;
mod flags;
mod links;
mod page;
