"""The commands of the command line beside the daemon itself."""
