/* A dynamic ELF program that becomes the one under test: the suite asks it for its own interpreter. */
#include <stdlib.h>
#include <unistd.h>

int main(int count, char **words)
{
    char **arguments = calloc(count + 2, sizeof *arguments);
    int next = 0;
    arguments[next++] = getenv("PATCHELF_UNDER_TEST");
    if (getenv("PATCHELF_VERB"))
        arguments[next++] = getenv("PATCHELF_VERB");
    for (int i = 1; i < count; i++)
        arguments[next++] = words[i];
    execv(arguments[0], arguments);
    return 126;
}
