"""What people do about their own account: signing up, proving an address, passwords, settings."""
