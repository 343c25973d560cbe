/* A folder for a test alone, under /tmp. */
#ifndef MQ_TESTS_FOLDER_H
#define MQ_TESTS_FOLDER_H

extern char folder[64]; /* its path */

void new_folder(void);
/* With all the files in it. */
void remove_folder(void);

#endif
