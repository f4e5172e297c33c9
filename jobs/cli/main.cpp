#include "jobs/cli/commands.h"

int main(int argc, char** argv) { return throng::cli::main(argc, argv); }
