"""Champion against challenger: may a new model take the place of the one in use?"""
