//! Every action's traffic against the SCIM engine, and how each lapse departs from it.

mod course;
mod lapses;
mod world;
