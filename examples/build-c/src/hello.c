#include <greet.h>

int main(void)
{
    greet("Hello", NAME);
    return 0;
}
