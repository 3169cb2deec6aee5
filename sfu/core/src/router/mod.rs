//! The fan-out table of one room.
