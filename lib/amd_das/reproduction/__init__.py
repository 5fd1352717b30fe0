"""The paper's Tables 2 to 5 with given data: each row trained, scored on labelled CT, and put beside the paper's."""
