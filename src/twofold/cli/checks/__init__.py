"""What `twofold doctor` looks at, a file for each idea: plain functions that give checks, or raise MFAError."""
