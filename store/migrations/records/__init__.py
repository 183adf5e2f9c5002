"""Steps of the records, in order. A step is never edited once it has been released."""
